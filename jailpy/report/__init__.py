"""Plan and outcome become a report: JSON for programs, words for people. Parent side."""
