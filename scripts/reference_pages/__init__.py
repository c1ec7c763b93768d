"""The pages of docs/reference, written from the code: parameters, messages, topics, services, statuses, commands.

``python -m scripts.reference_pages`` writes them, ``--check`` only tells which ones are out of date.
"""
