"""How a rule runs: eager on whole tensors, or as one compiled kernel on flat storage."""
