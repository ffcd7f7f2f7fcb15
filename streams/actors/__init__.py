"""The role actors: turns frames of by-actor into rulings on accounts, and answers questions of the role targets."""
