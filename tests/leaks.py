"""What a prepared data set's features tell of its labels, through the features that were computed from labels."""

import numpy as np
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler


def derived(prepared, part):
    """The means there are, the history's length, and whether the row's item is in it; and the labels."""
    spec = prepared.spec
    tables = [pq.read_table(path) for path in prepared.parts(part)]
    columns = []
    for table in tables:
        history = table[spec.history].combine_chunks()
        lengths = np.diff(history.offsets.to_numpy())
        repeated = np.repeat(table[spec.item_id].to_numpy(), lengths)
        owner = np.repeat(np.arange(len(lengths)), lengths)
        hits = np.bincount(owner, history.flatten().to_numpy() == repeated, minlength=len(lengths))
        means = [table[name].to_numpy() for name in (spec.user_mean, spec.item_mean) if name]
        columns.append(np.column_stack([*means, lengths, hits > 0, table["label"].to_numpy()]))
    rows = np.concatenate(columns)
    return rows[:, :-1], rows[:, -1].astype(int)


def regression_aucs(prepared):
    """AUC on the training and the test part of a logistic regression on the derived features alone."""
    train_part, test_part = derived(prepared, "train"), derived(prepared, "test")
    scaler = StandardScaler().fit(train_part[0])
    fitted = LogisticRegression().fit(scaler.transform(train_part[0]), train_part[1])
    return tuple(
        roc_auc_score(labels, fitted.decision_function(scaler.transform(features)))
        for features, labels in (train_part, test_part)
    )
