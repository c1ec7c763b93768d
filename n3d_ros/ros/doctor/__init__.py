"""The examination of a running system: facts are gathered into a ``Snapshot``, and each check reads it and finds."""
