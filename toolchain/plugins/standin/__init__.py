"""Stand-ins for the official Pulumi provider plugins `command` 1.2.1 and `tls` 5.6.2.

They are used only where the official plugins cannot be had, and answer the engine as those do: the
recordings under `tests/provider/wire` are the specification. What they cannot do is refused with
"not supported by the stand-in", never skipped.

`python -m standin command|tls ENGINE_ADDRESS` serves one of them and prints its port.
"""
