"""The service that terminals sync with: orders, vouchers, the feed, the booking of journals."""
