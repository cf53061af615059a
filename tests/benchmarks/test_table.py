def test_a_line_has_both_dtypes_and_both_baselines_and_dashes_for_what_was_not_run(script):
    table = script("table")
    case = {"name": "vae", "pass": "train", "size": 256, "batch": 4}
    results = [
        {**case, "dtype": "float32", "baseline": "eager", "ours_ms": 2519.7, "ratio": 1.104},
        {**case, "dtype": "float32", "baseline": "compiled", "ours_ms": 2519.7, "ratio": 0.8},
        {**case, "dtype": "bfloat16", "baseline": "eager", "ours_ms": 645.0, "ratio": 0.47},
    ]
    assert table.rows(results) == [
        "| vae train | 256 px, 4 | 2520 | 1.10 | 0.80 | 645 | 0.47 | – |"
    ]
