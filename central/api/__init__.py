"""The sync API over HTTP: `/v1`, as design section 7 says it.

Responsible for: routes, bodies, problem details. Not responsible for: what the calls mean; the use
cases beside this package do that. Invariant: every body goes through a strict decoder of `sync`,
never through the framework's own, which takes "3" for 3 and "false" for true.
"""
