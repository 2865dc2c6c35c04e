/* The calls of CUDA's runtime that runtime/engines/cuda.py makes, as documented for CUDA 12, on the
 * processor's memory. `twin_copy` is the one piece of work that a stream can be given. */

#include <stdlib.h>
#include <string.h>

enum { OUT_OF_MEMORY = 2, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, LAUNCH_FAILURE = 719 };

int live, lost, left = -1, no_graphs;

typedef struct { void *to; const void *from; size_t bytes; } Copy;
static Copy recorded;
static int recording, broken;

static int made(void **place, size_t bytes) {
  if (lost) return LAUNCH_FAILURE;
  if (left == 0 || (*place = calloc(1, bytes)) == NULL) return OUT_OF_MEMORY;
  if (left > 0) left--;
  live++;
  return 0;
}

static int gone(void *place) {
  if (lost) return LAUNCH_FAILURE;
  free(place);
  live--;
  return 0;
}

const char *cudaGetErrorString(int code) {
  if (code == OUT_OF_MEMORY) return "out of memory";
  return code == LAUNCH_FAILURE ? "unspecified launch failure" : "operation not permitted";
}

int cudaSetDeviceFlags(unsigned flags) { return lost ? LAUNCH_FAILURE : 0; }
int cudaStreamCreateWithFlags(void **stream, unsigned flags) { return made(stream, 1); }
int cudaStreamDestroy(void *stream) { return gone(stream); }
int cudaStreamSynchronize(void *stream) { return lost ? LAUNCH_FAILURE : 0; }
int cudaHostAlloc(void **host, size_t bytes, unsigned flags) { return made(host, bytes); }
int cudaFreeHost(void *host) { return gone(host); }

int cudaHostGetDevicePointer(void **device, void *host, unsigned flags) {
  *device = host;
  return 0;
}

int cudaMemGetInfo(size_t *available, size_t *total) {
  *available = (size_t)(1000 - live) << 20;
  *total = (size_t)1000 << 20;
  return 0;
}

int cudaDeviceGetAttribute(int *value, int which, int device) {
  *value = which == 75 ? 8 : 7;
  return 0;
}

int cudaStreamBeginCapture(void *stream, int mode) {
  recording = 1;
  broken = 0;
  return 0;
}

int cudaStreamEndCapture(void *stream, void **graph) {
  recording = 0;
  *graph = NULL;
  return broken ? CAPTURE_INVALIDATED : made(graph, sizeof(Copy));
}

int cudaGraphInstantiateWithFlags(void **ready, void *graph, unsigned long long flags) {
  int code = made(ready, sizeof(Copy));
  if (code == 0) memcpy(*ready, &recorded, sizeof recorded);
  return code;
}

int cudaGraphDestroy(void *graph) { return gone(graph); }
int cudaGraphExecDestroy(void *ready) { return gone(ready); }

int cudaGraphLaunch(void *ready, void *stream) {
  if (lost) return LAUNCH_FAILURE;
  Copy *copy = ready;
  memmove(copy->to, copy->from, copy->bytes);
  return 0;
}

int twin_copy(void *to, const void *from, size_t bytes) {
  if (lost) return LAUNCH_FAILURE;
  if (recording && no_graphs) {
    broken = 1;
    return CAPTURE_UNSUPPORTED;
  }
  recorded = (Copy){to, from, bytes};
  if (!recording) memmove(to, from, bytes);
  return 0;
}
