"""From a scanner's bytes to a `Scan`.

`framer`, `ssi`, `aim`, `scan`, `gs1`, `keymap`, `commands`, `mistaken` and `double_read` are pure;
`serial_scanner` and `evdev_scanner` own a thread each. Telling the keys of a scanner from
those of a hand is the kiosk's gate, because only the screen sees both.
"""
