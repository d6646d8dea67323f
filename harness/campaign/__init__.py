"""Campaigns: a target is asked the cases of many seeds, by one process or by many machines."""
