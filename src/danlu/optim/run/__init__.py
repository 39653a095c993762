"""How a rule runs: eager on whole tensors, as one compiled kernel on flat storage, or as a few where it reduces."""
