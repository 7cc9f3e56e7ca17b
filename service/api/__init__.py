"""The HTTP RPC API: `/{family}/{method}.{xml,json}`.

definition.py   what a method is: parameters, reply, statuses, example - data
conf.py ...     the methods of each family, and what they do
methods.py      all of them by name
values.py       a parameter's text to its value, or what would be right
requests.py     an HTTP request to parameters, within the limits
replies.py      a reply to XML or JSON
repeats.py      the same answer for a repeated request_id
app.py          the application that joins them
reference.py    the reference in docs/api.md, written from the definitions
"""
