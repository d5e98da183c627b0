"""The API's ground: who asks, how often, in which shape it answers, and its description.

What it tells and does stands beside each app's models, in `<app>/api.py`.
"""
