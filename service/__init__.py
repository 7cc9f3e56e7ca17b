"""The house that joins the rooms."""
