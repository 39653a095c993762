"""Formulas that pieces of several axes share: plain functions of tensors, or of the step count."""
