"""The files by which coding agents call gitcoord: the table of agents, and gitcoord's part put in and taken out."""
