"""Watch a folder of photos, judge each with a network, file it and record the decision."""
