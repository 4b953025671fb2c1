"""From a scanner's bytes to a `Scan`.

`framer`, `aim`, `scan`, `gs1`, `burst`, `keymap`, `commands` and `mistaken` are pure;
`serial_scanner` and `evdev_scanner` own a thread each.
"""
