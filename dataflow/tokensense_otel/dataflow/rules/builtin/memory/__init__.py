"""The rule about memory that is paid for and never used."""
