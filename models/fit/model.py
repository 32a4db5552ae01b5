"""FIT, the two-tower model whose user side sees a few meta queries in place of the item."""

import numpy as np
import tensorflow as tf

from features import FeatureSpec
from layers import (
    InteractionUnit,
    LightweightSimilarityScorer,
    MaxSim,
    MetaQuery,
    MultiHeadRepresenter,
    ScaledSimilarity,
    Tower,
)
from models import scorers
from models.base import Scored, State, TwoTowerModel
from models.batch import as_batch
from models.fit.options import ENTRY, FITOptions
from models.inputs import EncodedSide, Inputs
from models.mixture import HeadMixture
from prerank.errors import InputError

_TEMPERATURE_TO_STOP = 0.01


@ENTRY
class FIT(TwoTowerModel):
    """Meta queries as early interaction, a learned scorer of all pairs of heads as late interaction.

    Xiong et al., SIGIR 2025, arXiv 2509.12948. The embeddings of an item's attributes choose one of N meta queries.
    Given a query, the interaction units weigh the user's history, which they sum, and the user's other fields; both
    join the input of the user's tower. So a user has N states, computed without the item, and an item stores its heads
    and the index of its query. Training takes a soft query, whose temperature falls from 1 to 0.001; there is no early
    stop before it is at most 0.01.

    Three defaults differ from the published ones. As with HIT, heads have length 1 and their products a learned scale,
    and the towers lack the last layer, 32 wide. The temperature falls within a few epochs, not over all that are
    planned, as the model has overfitted long before those are over.
    """

    options: FITOptions
    user_state: tuple[str, ...] = ("user_heads",)
    item_state: tuple[str, ...] = ("item_heads", "item_meta_index")

    def __init__(self, spec: FeatureSpec, options: FITOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        self.behaviours = () if options.without_mqm or spec.history is None else (spec.history,)
        self.encoder = self.make_encoder(keep=self.behaviours)
        self.meta_query: MetaQuery | None = None
        if options.without_mqm:
            self.item_state = ("item_heads",)
        else:
            self._make_interaction()
        self.user_dnn, self.user_representer = self._tower(options.user_heads, "user")
        self.item_dnn, self.item_representer = self._tower(options.item_heads, "item")
        self._mixture: HeadMixture | None = None
        if options.scorer == "mol":
            self._mixture = HeadMixture(options, options.user_heads * options.item_heads, self.next_seed)
            self.mixture_layers = self._mixture.layers
            self.user_state = HeadMixture.user_state
            self.item_state = (*HeadMixture.item_state, *self.item_state[1:])
        else:
            self.scorer = self._make_scorer()

    def _make_interaction(self) -> None:
        initializer = tf.keras.initializers.GlorotUniform(seed=self.next_seed())
        self.meta_query = MetaQuery(self.options.meta_vectors, seed=self.next_seed(), name="meta_query")
        self.query_projection = tf.keras.layers.Dense(
            self.options.embedding_dim, kernel_initializer=initializer, name="query_projection"
        )
        self.field_unit = InteractionUnit(pool=False, seed=self.next_seed(), name="field_unit")
        if self.behaviours:
            self.history_unit = InteractionUnit(pool=True, seed=self.next_seed(), name="history_unit")

    def _tower(self, heads: int, side: str) -> tuple[Tower, MultiHeadRepresenter]:
        options = self.options
        tower = Tower(options.hidden_units, None, options.dropout, seed=self.next_seed(), name=f"{side}_dnn")
        normalize = options.scorer == "mol" or options.similarity == "scaled_cosine" and options.scorer != "dot"
        seed = self.next_seed()
        return tower, MultiHeadRepresenter(heads, options.head_dim, normalize, seed, name=f"{side}_representer")

    def _make_scorer(self) -> tf.keras.layers.Layer:
        options = self.options
        scaled = options.similarity == "scaled_cosine"
        if options.scorer == "dot":
            if options.user_heads != options.item_heads:
                raise InputError(
                    "--scorer dot needs as many user heads as item heads. "
                    f"Received: --user_heads {options.user_heads} --item_heads {options.item_heads}"
                )
            return ScaledSimilarity(options.similarity, name="scorer")
        if options.scorer == "sum_max":
            return MaxSim(scaled, name="scorer")
        width = options.scorer_width if options.scorer == "lss" else None
        return LightweightSimilarityScorer(width, scaled, seed=self.next_seed(), name="scorer")

    def _attributes(self, encoded: EncodedSide) -> tf.Tensor:
        return encoded.concat(list(encoded.fields))

    def _user(self, encoded: EncodedSide, queries: tf.Tensor | None, training: bool | None) -> State:
        """The state of users for queries (B, Q, D) or (1, Q, D): heads (B, Q, H_u, d); Q is 1 without queries."""
        parts = [encoded.concat()[:, tf.newaxis, :]]
        if queries is not None:
            projected = self.query_projection(queries)
            for name in self.behaviours:
                parts.append(self.history_unit([projected, encoded.sequences[name], encoded.masks[name]]))
            others = [field for name, field in encoded.fields.items() if name not in self.behaviours]
            weighted = self.field_unit([projected, tf.stack(others, axis=1)])
            parts.append(tf.concat(tf.unstack(weighted, axis=2), axis=-1))
            parts[0] = tf.repeat(parts[0], queries.shape[1], axis=1)
        count, width = parts[0].shape[1], sum(part.shape[2] for part in parts)
        tower_input = tf.reshape(tf.concat(parts, axis=-1), [-1, width])
        hidden = self.user_dnn(tower_input, training=training)
        state = {"user_heads": self.user_representer(hidden)}
        if self._mixture is not None:
            state["user_gate"] = self._mixture.user_gate(hidden)
        return {name: tf.reshape(value, [-1, count, *value.shape[1:]]) for name, value in state.items()}

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        """The heads (B, N, H_u, d) of each user for each of the N meta queries, and their gate if there is one."""
        queries = None if self.meta_query is None else self.meta_query.queries()[tf.newaxis]
        return self._user(self.encoder(inputs, "user"), queries, training)

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        """The heads (B, H_v, d) of each item and the index (B,) of its meta query."""
        encoded = self.encoder(inputs, "item")
        hidden = self.item_dnn(encoded.concat(), training=training)
        state = {"item_heads": self.item_representer(hidden)}
        if self._mixture is not None:
            state["item_gate"] = self._mixture.item_gate(hidden)
        if self.meta_query is not None:
            state["query"] = self.meta_query(self._attributes(encoded), training=training)
            state["item_meta_index"] = self.meta_query.index(self._attributes(encoded))
        return state

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        """Logits (B,); a row's user meets the query of the row's own item, no other."""
        item = self.encode_item(inputs, training)
        return self._of_pairs(self.encoder(inputs, "user"), item, training)[0]

    def _of_pairs(self, encoded: EncodedSide, item: State, training: bool | None) -> tuple[tf.Tensor, State]:
        queries = None if self.meta_query is None else item["query"][:, tf.newaxis, :]
        return self.trained_scores(self._user(encoded, queries, training), item, training)

    def scored(
        self,
        inputs: Inputs,
        users: tf.Tensor | None = None,
        items: tf.Tensor | None = None,
        training: bool = True,
    ) -> Scored:
        """As for every model. The towers apart would see the hard queries, so a user's tower runs for each pair."""
        item, encoded = self.encode_item(inputs, training), self.encoder(inputs, "user")
        if users is not None and items is not None:
            encoded = encoded.take(users)
            item = {name: tf.gather(value, items) for name, value in item.items()}
        logits, of_pairs = self._of_pairs(encoded, item, training)
        return Scored(logits, {}, of_pairs)

    def _met(self, user: State, item: State) -> State:
        """What items meet: row `an item's index + user row · meta vectors` of the users' flattened states."""
        users, count = tf.shape(user["user_heads"])[0], user["user_heads"].shape[1]
        flat = {name: tf.reshape(user[name], [-1, *user[name].shape[2:]]) for name in self.user_state}
        if count == 1:
            return flat
        rows = tf.range(tf.shape(item["item_heads"])[0])
        places = item["item_meta_index"] + tf.where(tf.equal(users, 1), 0, rows) * count
        return {name: tf.gather(values, places) for name, values in flat.items()}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        met = self._met(user, item)
        if self._mixture is not None:
            return self._mixture.similarity(met, item)
        heads, item_heads = met["user_heads"], item["item_heads"]
        if self.options.scorer == "dot":
            heads, item_heads = _flatten(heads), _flatten(item_heads)
        return self.scorer([heads, item_heads])

    def trained_scores(self, user: State, item: State, training: bool | None) -> tuple[tf.Tensor, State]:
        if self._mixture is None:
            return super().trained_scores(user, item, training)
        score, weights = self._mixture.trained(self._met(user, item), item, training)
        return score + self.bias, weights

    def auxiliary_losses(self, labels: tf.Tensor, user: State, item: State) -> dict[str, tf.Tensor]:
        """The load balance of a mixture of logits."""
        return {} if self._mixture is None else self._mixture.losses(item)

    def scorer_spec(self) -> scorers.ScorerSpec:
        if self._mixture is not None:
            return self._mixture.scorer_spec().within("meta_query")
        of_heads = {
            "lss": scorers.lightweight,
            "fc": scorers.lightweight,
            "dot": scorers.similarity,
            "sum_max": scorers.max_sim,
        }
        return of_heads[self.options.scorer](self.scorer).within("meta_query")

    def plan_training(self, epochs: int, steps: int) -> None:
        if self.meta_query is not None:
            self.meta_query.plan(min(epochs, self.options.anneal_epochs or epochs) * steps)

    def may_stop(self) -> bool:
        return self.meta_query is None or float(self.meta_query.temperature()) <= _TEMPERATURE_TO_STOP

    def diagnostics(self, batches: tf.data.Dataset) -> dict[str, float]:
        """How good the meta queries are, over the distinct items of `batches`.

        Returns:
            `query_similarity`, the mean cosine of an item's soft and hard query at the present temperature (aim: 0.99
            at the end); `query_perplexity` of the items' spread over the meta vectors (aim: a quarter of them or more);
            `query_overlap`, the mean absolute cosine of two queries of the group.
        """
        if self.meta_query is None:
            return {}
        found = [
            (inputs[self.spec.item_id].numpy(), *(part.numpy() for part in self._assign(self.meta_query, inputs)))
            for inputs in (as_batch(batch).features for batch in batches)
        ]
        ids, indices, cosines = (np.concatenate(parts) for parts in zip(*found, strict=True))
        _, first = np.unique(ids, return_index=True)
        shares = np.bincount(indices[first]) / len(first)
        shares = shares[shares > 0]
        queries = _unit(self.meta_query.queries().numpy())
        pairs = np.abs(queries @ queries.T)[~np.eye(len(queries), dtype=bool)]
        return {
            "query_similarity": float(cosines[first].mean()),
            "query_perplexity": float(np.exp(-np.sum(shares * np.log(shares)))),
            "query_overlap": float(pairs.mean()) if len(pairs) else 0.0,
        }

    def _assign(self, meta_query: MetaQuery, inputs: Inputs) -> tuple[tf.Tensor, tf.Tensor]:
        """The index (B,) of each item's meta vector, and the cosine (B,) of its soft and hard query."""
        attributes = self._attributes(self.encoder(inputs, "item"))
        soft, hard = meta_query.soft_query(attributes), meta_query.hard_query(attributes)
        return meta_query.index(attributes), -tf.keras.losses.cosine_similarity(soft, hard)


def _flatten(heads: tf.Tensor) -> tf.Tensor:
    return tf.reshape(heads, [-1, heads.shape[1] * heads.shape[2]])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
