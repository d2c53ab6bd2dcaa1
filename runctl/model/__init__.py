"""The words of the system as frozen types: the same on the laptop, in the Lambdas, in the table and on the machine."""
