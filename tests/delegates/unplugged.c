/* A LiteRT delegate that does RESHAPE and can be unplugged: while the file of its option `gone` is
 * there, it cannot be made, and what was made fails. Structures as in LiteRT's C interface
 * (tflite/core/c/common.h), as far as they are touched here. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, ERROR = 1 };
enum { RESHAPE = 22 };

typedef struct { int size; int data[]; } IntArray;

typedef struct {
  int32_t type;
  void *data;
  IntArray *dims;
  struct { float scale; int32_t zero_point; } params;
  int32_t allocation_type;
  size_t bytes;
} TensorHead; /* a tensor is longer: see below */

typedef struct { IntArray *inputs; IntArray *outputs; } NodeHead;

typedef struct Context Context;
typedef struct Delegate Delegate;

typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, NodeHead *);
  int (*invoke)(Context *, NodeHead *);
  const char *(*profiling_string)(const Context *, const NodeHead *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *registration_external;
  void *(*async_kernel)(Context *, NodeHead *);
  uint64_t inplace_operator;
  void *room[8]; /* for what later versions add */
} Registration;

struct Context {
  size_t tensors_size;
  int (*get_execution_plan)(Context *, IntArray **);
  char *tensors;
  void *impl;
  int (*resize_tensor)(Context *, TensorHead *, IntArray *);
  void (*report_error)(Context *, const char *, ...);
  int (*add_tensors)(Context *, int, int *);
  int (*get_node_and_registration)(Context *, int, NodeHead **, Registration **);
  int (*replace_node_subsets)(Context *, Registration, const IntArray *, Delegate *);
};

struct Delegate {
  void *data;
  int (*prepare)(Context *, Delegate *);
  int (*copy_from)(Context *, Delegate *, int, TensorHead *);
  int (*copy_to)(Context *, Delegate *, int, TensorHead *);
  void (*free_handle)(Context *, Delegate *, int *);
  int64_t flags;
  void *opaque_builder;
  void *room[8];
};

static char gone[4096];

static int is_gone(void) { return access(gone, F_OK) == 0; }

/* sizeof(TfLiteTensor) on 64 bits: a test with known answers would notice another */
static size_t tensor_size(void) { return 112; }

static TensorHead *tensor(Context *context, int index) {
  return (TensorHead *)(context->tensors + tensor_size() * (size_t)index);
}

static int invoke(Context *context, NodeHead *node) {
  if (is_gone()) {
    context->report_error(context, "the accelerator does not answer");
    return ERROR;
  }
  TensorHead *to = tensor(context, node->outputs->data[0]);
  for (int i = 0; i < node->inputs->size; i++) { /* the other input is the wanted shape */
    TensorHead *from = tensor(context, node->inputs->data[i]);
    if (from->type == to->type && from->bytes == to->bytes) {
      memcpy(to->data, from->data, to->bytes);
      return OK;
    }
  }
  context->report_error(context, "nothing to reshape");
  return ERROR;
}

static int prepare_kernel(Context *context, NodeHead *node) { return OK; }

static int prepare(Context *context, Delegate *self) {
  IntArray *plan;
  if (context->get_execution_plan(context, &plan) != OK) return ERROR;
  IntArray *mine = calloc(1, sizeof(IntArray) + sizeof(int) * (size_t)plan->size);
  for (int i = 0; i < plan->size; i++) {
    NodeHead *node;
    Registration *kind;
    if (context->get_node_and_registration(context, plan->data[i], &node, &kind) != OK) return ERROR;
    if (kind->builtin_code == RESHAPE) mine->data[mine->size++] = plan->data[i];
  }
  Registration kernel = {.prepare = prepare_kernel, .invoke = invoke, .custom_name = "Unplugged", .version = 1};
  int status = context->replace_node_subsets(context, kernel, mine, self);
  free(mine);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(keys[i], "gone") == 0) strncpy(gone, values[i], sizeof gone - 1);
  if (is_gone()) {
    report("no accelerator is plugged in");
    return NULL;
  }
  puts("unplugged: made"); /* as some drivers do, into whatever is told there */
  Delegate *self = calloc(1, sizeof(Delegate));
  self->prepare = prepare;
  return self;
}

void tflite_plugin_destroy_delegate(Delegate *self) { free(self); }
