"""Recipes: a training run as a TOML file, checked as a whole before anything happens. Needs ``danlu[cli]``."""

from danlu.recipe.dump import dump
from danlu.recipe.layers import Layer, parse_file, parse_set
from danlu.recipe.load import load, resolve
from danlu.recipe.pictures import Pictures
from danlu.recipe.prepare import Run, prepare
from danlu.recipe.problems import Problem, RecipeError, problems
from danlu.recipe.recipe import OptimizerPart, Recipe, SchedulePart

__all__ = [
    "Layer",
    "OptimizerPart",
    "Pictures",
    "Problem",
    "Recipe",
    "RecipeError",
    "Run",
    "SchedulePart",
    "dump",
    "load",
    "parse_file",
    "parse_set",
    "prepare",
    "problems",
    "resolve",
]
