from .net import Tagger as Tagger
