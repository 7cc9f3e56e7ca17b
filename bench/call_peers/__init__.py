"""What call rates are compared with."""
