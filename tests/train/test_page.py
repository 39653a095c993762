import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_every_block_of_the_page_runs_in_order(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 8
    namespace = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), namespace)
    out = capsys.readouterr().out
    assert "update 5: loss is nan, non-finite gradients in 0.weight, 0.bias, 2.weight and more;" in out
    assert "['checkpoints', 'env.json', 'metrics.jsonl', 'model.safetensors', 'status.json']" in out
    assert namespace["result"].steps == 16
