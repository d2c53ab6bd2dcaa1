"""The emulator's process: ministack, mended where AWS behaves otherwise, behind the front that plays machines."""
