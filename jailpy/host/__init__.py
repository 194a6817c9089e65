"""What this kernel and account offer. Parent side. `facts` looks, `probe` tries things in a throw-away child."""
