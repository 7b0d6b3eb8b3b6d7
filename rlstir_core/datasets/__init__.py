"""How train and test are held apart, and the proof that they are."""
