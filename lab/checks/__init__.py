"""The kit of checks: how a running lab is looked at, and the words in which a check says what it expects."""
