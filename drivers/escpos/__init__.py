"""From a slip to paper, over ESC/POS.

Pure: `slip` (what a document says), `charset`, `encode` (bytes), `layout` (slip to blocks of
bytes), `reply` and `status` (what the printer answers), `profile`, `engine` (what to send when).
`raster` draws and imports Pillow when first used; `printer` owns the threads.
"""
