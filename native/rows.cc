// Embedding rows in a training step: pooling straight from the table, and gradient sums with lazy Adam in one pass.
//
// Both give to the last bit what TensorFlow's operations give (see layers/lookup_plan.py, training/optimizer.py), so
// that a run's result does not depend on whether a compiler was there. For that, sums are taken in the order of
// SparseSegmentSum, and the compiler must not contract a product and a sum (-ffp-contract=off).
// A segment is summed by one thread, so that the number of threads changes nothing either.

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <vector>

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace prerank {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::Var;
using tensorflow::shape_inference::InferenceContext;

constexpr int kAhead = 8;            // elements that are fetched ahead of their use
constexpr int64_t kElements = 2048;  // a block of work has at least so many

absl::Status PooledShape(InferenceContext* context) {
  auto width = context->UnknownDim();
  const auto* handle = context->input_handle_shapes_and_types(0);
  if (handle != nullptr && !handle->empty() && context->RankKnown((*handle)[0].shape)) {
    width = context->Dim((*handle)[0].shape, 1);
  }
  context->set_output(0, context->MakeShape({context->UnknownDim(), width}));
  return absl::OkStatus();
}

REGISTER_OP("PrerankPoolRows")
    .Input("table: resource")
    .Input("distinct: int32")
    .Input("elements: int32")
    .Input("slots: int32")
    .Input("slot_count: int32")
    .Output("pooled: float")
    .SetIsStateful()
    .SetShapeFn(PooledShape)
    .Doc("Sums of a table's rows over the elements of each slot; zeros for a slot without elements.");

REGISTER_OP("PrerankLazyAdam")
    .Input("table: resource")
    .Input("first: resource")
    .Input("second: resource")
    .Input("gradient: float")
    .Input("distinct: int32")
    .Input("sorted_rows: int32")
    .Input("sorted_slots: int32")
    .Input("rate: float")
    .Attr("beta_1: float")
    .Attr("rest_1: float")
    .Attr("beta_2: float")
    .Attr("rest_2: float")
    .Attr("epsilon: float")
    .Attr("l2: float")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext*) { return absl::OkStatus(); })
    .Doc("Sums the gradient of the slots by row, and moves each row and its moments once.");

inline void Fetch(const float* row, int width, bool to_write) {
  for (int k = 0; k < width; k += 16) {
    if (to_write) {
      __builtin_prefetch(row + k, 1);
    } else {
      __builtin_prefetch(row + k, 0);
    }
  }
}

// The sum of `count` >= 1 vectors at(0), at(1), ... in the order of SparseSegmentSum: a first group of 2 to 9, then
// groups of 8, each summed by itself.
template <int kWidth, class At>
inline void Sum(At at, int64_t count, int width, float* sum, float* group) {
  const int n = kWidth > 0 ? kWidth : width;
  std::copy_n(at(0), n, sum);
  int64_t done = count == 1 ? 1 : 2 + (count - 2) % 8;
  for (int64_t i = 1; i < done; i++) {
    const float* next = at(i);
    for (int k = 0; k < n; k++) sum[k] += next[k];
  }
  for (; done < count; done += 8) {
    std::copy_n(at(done), n, group);
    for (int64_t i = 1; i < 8; i++) {
      const float* next = at(done + i);
      for (int k = 0; k < n; k++) group[k] += next[k];
    }
    for (int k = 0; k < n; k++) sum[k] += group[k];
  }
}

// The first place from `place` on where a segment begins.
int64_t SegmentStart(const int32_t* segments, int64_t place, int64_t count) {
  if (place <= 0) return 0;
  while (place < count && segments[place] == segments[place - 1]) place++;
  return std::min(place, count);
}

// Calls work(begin, end) on several threads for consecutive parts of the elements that cut no segment.
template <class Work>
void InParts(OpKernelContext* context, const int32_t* segments, int64_t count, int64_t cost, Work work) {
  const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
  const int64_t most = 4 * static_cast<int64_t>(workers.num_threads);
  const int64_t parts = std::max<int64_t>(1, std::min(most, count / kElements));
  tensorflow::Shard(workers.num_threads, workers.workers, parts, cost * count / parts, [&](int64_t from, int64_t to) {
    const int64_t begin = SegmentStart(segments, count * from / parts, count);
    const int64_t end = SegmentStart(segments, count * to / parts, count);
    if (begin < end || count == 0) work(begin, end);
  });
}

// Whether a variable is what the loops below take it for.
absl::Status CheckTable(Var* variable) {
  const Tensor& values = *variable->tensor();
  if (variable->is_initialized && values.dtype() == tensorflow::DT_FLOAT && values.dims() == 2) return absl::OkStatus();
  return absl::InvalidArgumentError("a table and its moments must be initialised, float32 and of rank 2");
}

enum class Order { kAny, kRising, kDistinct };

// Whether all of `values` lie in [0, limit), and rise if that is asked for. Rows that are written must be distinct, or
// two threads would write one.
absl::Status Check(const Tensor& values, int64_t limit, Order order, const char* name) {
  const auto flat = values.flat<int32_t>();
  bool wrong = false;
  for (int64_t i = 0; i < flat.size(); i++) {
    wrong |= flat(i) < 0 || flat(i) >= limit;
  }
  const bool rising = order != Order::kAny;
  if (rising) {
    const int32_t least = order == Order::kDistinct ? 1 : 0;
    for (int64_t i = 1; i < flat.size(); i++) wrong |= flat(i) - least < flat(i - 1);
  }
  if (!wrong) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must lie in [0, ", limit, ")", rising ? " and rise" : ""));
}

// A width that is known when compiling makes the inner loops straight.
template <class Run>
void ByWidth(int64_t width, Run run) {
  switch (width) {
    case 8: return run(std::integral_constant<int, 8>());
    case 16: return run(std::integral_constant<int, 16>());
    case 32: return run(std::integral_constant<int, 32>());
    case 64: return run(std::integral_constant<int, 64>());
    case 128: return run(std::integral_constant<int, 128>());
    default: return run(std::integral_constant<int, 0>());
  }
}

class PoolRows : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    tensorflow::core::RefCountPtr<Var> table;
    OP_REQUIRES_OK(context, LookupResource(context, HandleFromInput(context, 0), &table));
    tensorflow::tf_shared_lock lock(*table->mu());
    OP_REQUIRES_OK(context, CheckTable(table.get()));
    const Tensor &distinct = context->input(1), &elements = context->input(2), &slots = context->input(3);
    OP_REQUIRES(context, context->input(4).NumElements() == 1 && context->input(4).scalar<int32_t>()() >= 0,
                absl::InvalidArgumentError("slot_count must be a number of at least 0"));
    const int64_t slot_count = context->input(4).scalar<int32_t>()();
    OP_REQUIRES_OK(context, Check(distinct, table->tensor()->dim_size(0), Order::kAny, "distinct"));
    OP_REQUIRES_OK(context, Check(elements, distinct.NumElements(), Order::kAny, "elements"));
    OP_REQUIRES_OK(context, Check(slots, slot_count, Order::kRising, "slots"));
    OP_REQUIRES(context, elements.NumElements() == slots.NumElements(),
                absl::InvalidArgumentError("elements and slots differ in number"));
    const int64_t width = table->tensor()->dim_size(1);
    Tensor* pooled;
    OP_REQUIRES_OK(context, context->allocate_output(0, TensorShape({slot_count, width}), &pooled));
    ByWidth(width, [&](auto known) {
      Pool<decltype(known)::value>(context, *table->tensor(), distinct, elements, slots, slot_count, pooled);
    });
  }

 private:
  template <int kWidth>
  void Pool(OpKernelContext* context, const Tensor& table, const Tensor& distinct, const Tensor& elements,
            const Tensor& slots, int64_t slot_count, Tensor* pooled) {
    const int width = static_cast<int>(table.dim_size(1));
    const float* rows = table.flat<float>().data();
    float* sums = pooled->flat<float>().data();
    const int32_t* of_element = elements.flat<int32_t>().data();
    const int32_t* row_of = distinct.flat<int32_t>().data();
    const int32_t* slot_of = slots.flat<int32_t>().data();
    const int64_t count = slots.NumElements();
    InParts(context, slot_of, count, 4 * width, [=](int64_t begin, int64_t end) {
      std::vector<float> group(width);
      const auto row = [=](int64_t element) {
        return rows + static_cast<int64_t>(row_of[of_element[element]]) * width;
      };
      int64_t filled = begin == 0 ? 0 : slot_of[begin - 1] + 1;
      for (int64_t first = begin; first < end;) {
        const int32_t slot = slot_of[first];
        int64_t last = first;
        while (last < end && slot_of[last] == slot) last++;
        std::fill(sums + filled * width, sums + static_cast<int64_t>(slot) * width, 0.0f);
        const auto at = [=](int64_t i) {
          if (first + i + kAhead < count) Fetch(row(first + i + kAhead), width, false);
          return row(first + i);
        };
        Sum<kWidth>(at, last - first, width, sums + static_cast<int64_t>(slot) * width, group.data());
        filled = static_cast<int64_t>(slot) + 1;
        first = last;
      }
      if (end == count) std::fill(sums + filled * width, sums + slot_count * width, 0.0f);
    });
  }
};

// Makes sure that nobody else holds the tensor of a variable that is going to be changed in place, as TensorFlow's own
// scatter operations do: from then on, a read of the variable is a copy. The variable is locked.
absl::Status OwnTensor(OpKernelContext* context, Var* variable) {
  if (variable->copy_on_read_mode.load()) return absl::OkStatus();
  if (!variable->tensor()->RefCountIsOne()) {
    Tensor own;
    TF_RETURN_IF_ERROR(context->allocate_temp(variable->tensor()->dtype(), variable->tensor()->shape(), &own));
    const auto old = variable->tensor()->flat<float>();
    std::copy_n(old.data(), old.size(), own.flat<float>().data());
    *variable->tensor() = own;
  }
  variable->copy_on_read_mode.store(true);
  return absl::OkStatus();
}

class LazyAdam : public OpKernel {
 public:
  explicit LazyAdam(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("beta_1", &beta_1_));
    OP_REQUIRES_OK(context, context->GetAttr("rest_1", &rest_1_));
    OP_REQUIRES_OK(context, context->GetAttr("beta_2", &beta_2_));
    OP_REQUIRES_OK(context, context->GetAttr("rest_2", &rest_2_));
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
    OP_REQUIRES_OK(context, context->GetAttr("l2", &l2_));
  }

  void Compute(OpKernelContext* context) override {
    std::array<tensorflow::core::RefCountPtr<Var>, 3> variables;
    for (int i = 0; i < 3; i++) {
      OP_REQUIRES_OK(context, LookupResource(context, HandleFromInput(context, i), &variables[i]));
    }
    const tensorflow::mutex_lock table_lock(*variables[0]->mu());
    const tensorflow::mutex_lock first_lock(*variables[1]->mu());
    const tensorflow::mutex_lock second_lock(*variables[2]->mu());
    for (auto& variable : variables) OP_REQUIRES_OK(context, CheckTable(variable.get()));
    for (auto& variable : variables) {
      OP_REQUIRES(context, variable->tensor()->shape() == variables[0]->tensor()->shape(),
                  absl::InvalidArgumentError("the table and its moments differ in shape"));
      OP_REQUIRES_OK(context, OwnTensor(context, variable.get()));
    }
    const int64_t rows = variables[0]->tensor()->dim_size(0), width = variables[0]->tensor()->dim_size(1);
    const Tensor &gradient = context->input(3), &distinct = context->input(4);
    const Tensor &sorted_rows = context->input(5), &sorted_slots = context->input(6);
    OP_REQUIRES(context, context->input(7).NumElements() == 1, absl::InvalidArgumentError("rate must be a number"));
    OP_REQUIRES(context, gradient.dims() == 2 && gradient.dim_size(1) == width,
                absl::InvalidArgumentError("the gradient must have a vector of the table's width for each slot"));
    OP_REQUIRES(context, sorted_rows.NumElements() == sorted_slots.NumElements(),
                absl::InvalidArgumentError("sorted_rows and sorted_slots differ in number"));
    OP_REQUIRES_OK(context, Check(distinct, rows, Order::kDistinct, "distinct"));
    OP_REQUIRES_OK(context, Check(sorted_rows, distinct.NumElements(), Order::kRising, "sorted_rows"));
    OP_REQUIRES_OK(context, Check(sorted_slots, gradient.dim_size(0), Order::kAny, "sorted_slots"));
    const std::array<float*, 3> state = {Data(*variables[0]), Data(*variables[1]), Data(*variables[2])};
    ByWidth(width, [&](auto known) { Update<decltype(known)::value>(context, state, static_cast<int>(width)); });
  }

 private:
  static float* Data(Var& variable) { return variable.tensor()->flat<float>().data(); }

  template <int kWidth>
  void Update(OpKernelContext* context, std::array<float*, 3> state, int width) {
    const float* gradient = context->input(3).flat<float>().data();
    const int32_t* row_of = context->input(4).flat<int32_t>().data();
    const int32_t* segment = context->input(5).flat<int32_t>().data();
    const int32_t* slot_of = context->input(6).flat<int32_t>().data();
    const float rate = context->input(7).scalar<float>()();
    const int64_t count = context->input(5).NumElements(), distinct = context->input(4).NumElements();
    InParts(context, segment, count, 8 * width, [=](int64_t begin, int64_t end) {
      std::vector<float> sum(width), group(width);
      for (int64_t first = begin; first < end;) {
        const int32_t place = segment[first];
        int64_t last = first;
        while (last < end && segment[last] == place) last++;
        if (place + kAhead < distinct) {
          for (float* values : state) {
            Fetch(values + static_cast<int64_t>(row_of[place + kAhead]) * width, width, true);
          }
        }
        const auto at = [=](int64_t i) { return gradient + static_cast<int64_t>(slot_of[first + i]) * width; };
        Sum<kWidth>(at, last - first, width, sum.data(), group.data());
        const int64_t offset = static_cast<int64_t>(row_of[place]) * width;
        Move<kWidth>(sum.data(), rate, width, state[0] + offset, state[1] + offset, state[2] + offset);
        first = last;
      }
    });
  }

  template <int kWidth>
  void Move(const float* sum, float rate, int width, float* __restrict values, float* __restrict first,
            float* __restrict second) const {
    const int n = kWidth > 0 ? kWidth : width;
    const bool penalised = l2_ != 0;
    for (int k = 0; k < n; k++) {
      const float slope = penalised ? sum[k] + l2_ * values[k] : sum[k];
      first[k] = beta_1_ * first[k] + rest_1_ * slope;
      second[k] = beta_2_ * second[k] + rest_2_ * (slope * slope);
      values[k] -= rate * first[k] / (std::sqrt(second[k]) + epsilon_);
    }
  }

  float beta_1_, rest_1_, beta_2_, rest_2_, epsilon_, l2_;
};

REGISTER_KERNEL_BUILDER(Name("PrerankPoolRows").Device(tensorflow::DEVICE_CPU), PoolRows);
REGISTER_KERNEL_BUILDER(Name("PrerankLazyAdam").Device(tensorflow::DEVICE_CPU), LazyAdam);

}  // namespace prerank
