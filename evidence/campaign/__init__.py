"""Campaigns: what a target was asked by seed, a million times and more. A record of blocks; checked, merged, compared.

`harness.campaign` asks; nothing here loads a framework.
"""
