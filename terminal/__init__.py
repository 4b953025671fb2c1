"""Who stands at the counter: journal, replica, the redeem use case, slips, workers, kiosk."""
