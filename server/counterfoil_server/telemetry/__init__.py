"""What operators see of a running desk: traces in OpenTelemetry's form, metrics in that of Prometheus. Off by default.

Rules: nothing here decides, stores or delays anything; what leaves the process are names, counts and times of ours,
never what somebody wrote, who they are or what they own; and unless a setting asks for it, nothing of it is loaded but
``watch.py``.
"""
