"""Recipes: a training run as a TOML file, checked as a whole before anything happens. Needs ``danlu[cli]``."""

from danlu.recipe.class_loss import ClassLoss
from danlu.recipe.dump import dump
from danlu.recipe.layers import Layer, parse_file, parse_set
from danlu.recipe.load import load, resolve
from danlu.recipe.named import About, find_recipe, recipes
from danlu.recipe.pictures import Pictures
from danlu.recipe.prepare import Run, prepare
from danlu.recipe.problems import Problem, RecipeError, problems
from danlu.recipe.recipe import EarlyStopPart, FreezePart, OptimizerPart, Recipe, SchedulePart
from danlu.recipe.start import begin_from

__all__ = [
    "About",
    "ClassLoss",
    "EarlyStopPart",
    "FreezePart",
    "Layer",
    "OptimizerPart",
    "Pictures",
    "Problem",
    "Recipe",
    "RecipeError",
    "Run",
    "SchedulePart",
    "begin_from",
    "dump",
    "find_recipe",
    "load",
    "parse_file",
    "parse_set",
    "prepare",
    "problems",
    "recipes",
    "resolve",
]
