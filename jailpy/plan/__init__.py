"""Profile, host facts and command compile to a Plan, or to a Rejection that lists every unmet need at once. Pure."""
