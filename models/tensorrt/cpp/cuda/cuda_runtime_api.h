// All of CUDA's runtime API that TensorRT's headers mention: two handles. So no CUDA needs to be installed to build.
#pragma once

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
