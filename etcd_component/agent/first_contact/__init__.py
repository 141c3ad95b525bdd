"""What is sent to a machine that may lack the agent, each module alone; see `contact.start`.

They import nothing of the agent. They are short, since the state has them for each machine.
"""
