"""What an operator does from the dashboard: deploy, roll back, command a device, hand over a model.

No HTTP here, and no page: typed functions over the code that the commands of the terminal use.
"""
