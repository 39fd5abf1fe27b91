"""A model's weights: where they come from, how much of them is here, whether they are whole."""
