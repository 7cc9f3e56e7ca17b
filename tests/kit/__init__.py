"""What the tests and the demo work with: a clock, a bad wire, tones, and a phone.

The phone speaks SIP and RTP with its own code, written against the RFCs and not
against the product's `telephony` and `media`, so that one mistake cannot hide in both.
"""
