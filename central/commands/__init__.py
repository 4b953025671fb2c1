"""The commands of `hexiao central`, from parsed options to an exit status.

Responsible for: turning options into use cases and results into the shapes of design section 5.
Not responsible for: parsing options, or any rule. Invariant: every command answers through its
`Output`; outages and wrong settings are exceptions that `cli` turns into exit statuses.
"""
