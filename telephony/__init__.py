"""SIP: messages, transactions, dialogs, registrar, trunks and SDP."""
