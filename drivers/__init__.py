"""Bytes to scans, documents to paper. Knows no vouchers and imports nothing of ours.

    register()                                        # makes emulated:// ports known, once
    scanner = SerialScanner("emulated://scanner?feed=/tmp/scan", ScannerProfile(),
                            on_scan=inbox.put, on_event=log.put)
    printer = Printer("emulated://printer?paper=/tmp/slip.txt", PrinterProfile(),
                      journal=journal, outlook=Outlook(on_job=told, on_status=lamp))
    scanner.start(); printer.start()
    printer.submit("T1_1_00000042", Slip((Line("核销成功 Redeemed", align="center"), Cut())))
    # journal.printing(job_id) is called before the first byte; told(job_id, state, detail) after;
    printer.status                                    # drivers.escpos.status.PrinterStatus
    scanner.tell(Action.BAD); printer.abandon("T1_1_00000042"); printer.stop(); scanner.stop()

Imports: drivers.emulated.register, drivers.scanner.serial_scanner.SerialScanner,
drivers.scanner.profile.ScannerProfile (read_scanner_profile reads TOML), drivers.scanner.commands
.Action, drivers.escpos.printer (Printer, Journal, Outlook), drivers.escpos.profile.PrinterProfile
(read_printer_profile), drivers.escpos.slip (Slip, Line, Columns, ..., to_json, from_json, reprint),
drivers.escpos.engine.JobState. Callbacks come from the device's own thread and must be quick.
Rules: `printed` means confirmed block by block; `unknown` is a question for a person; `unconfirmed`
is a printer that cannot answer; nothing is ever printed again without being asked for.
"""
