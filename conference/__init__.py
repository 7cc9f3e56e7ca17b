"""Who may be in a conference, when, and what is done to them."""
