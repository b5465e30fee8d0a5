"""What the functions of torch and the methods of a tensor return (torch 2.6 to 2.13, https://docs.pytorch.org)."""

from __future__ import annotations

BOOLEAN = frozenset(
    """
    eq ne lt le gt ge greater less logical_and logical_or logical_not logical_xor isnan isinf isfinite isneginf
    isposinf isreal isclose isin any all signbit
    """.split()
)
"""Functions and methods that return a tensor of truth values."""

_BOTH = BOOLEAN | frozenset(
    """
    abs absolute acos add addmm all amax amin angle any argmax argmin argsort asin atan atan2 bitwise_and bitwise_not
    bitwise_or bmm bernoulli bucketize cat ceil cdist clamp clamp_max clamp_min clip clone concat conj cos cosh
    count_nonzero cross cumprod cumsum deg2rad detach diag diag_embed diagonal diff digamma dist div divide dot einsum
    erf erfc exp expm1 exp2 expand_as flatten flip fliplr flipud floor floor_divide fmod frac gather hypot index_add
    index_copy index_fill index_put index_select inner inverse kron ldexp lerp lgamma log log10 log1p log2 log_softmax
    logaddexp logcumsumexp logit logsumexp masked_fill masked_scatter masked_select matmul maximum mean minimum mm
    movedim moveaxis mul multinomial multiply mv nan_to_num nanmean nansum narrow neg negative norm outer permute
    polar pow prod quantile rad2deg ravel reciprocal relu remainder repeat_interleave reshape roll rot90 round rsqrt
    rsub scatter scatter_add scatter_reduce searchsorted select sgn sigmoid sign sin sinc sinh softmax softplus sqrt
    square squeeze std sub subtract sum swapaxes swapdims t take take_along_dim tan tanh tensordot tile trace transpose
    trapz tril triu true_divide trunc unflatten unsqueeze var vdot view_as_complex view_as_real where xlogy
    """.split()
)

FUNCTIONS = _BOTH | frozenset(
    """
    adaptive_avg_pool1d arange as_strided as_tensor baddbmm bartlett_window blackman_window block_diag broadcast_to
    bincount cartesian_prod celu column_stack combinations complex concatenate conv1d conv2d conv3d
    conv_transpose1d conv_transpose2d dropout dstack embedding empty empty_like empty_strided eye from_numpy
    full full_like group_norm hamming_window hann_window histc hstack instance_norm istft kaiser_window layer_norm
    linspace logspace nonzero_static normal ones ones_like prelu rand rand_like randint randint_like randn
    randn_like randperm rms_norm row_stack scalar_tensor selu stack stft tensor tril_indices triu_indices vander vstack
    zeros zeros_like argwhere nonzero unique_consecutive
    """.split()
)
"""Functions of `torch` that return one tensor."""

METHODS = _BOTH | frozenset(
    """
    bfloat16 bool byte char contiguous cpu cuda double expand fill_diagonal float half int long new_empty new_full
    new_ones new_tensor new_zeros nonzero repeat short to type_as unfold view view_as refine_names rename
    requires_grad_ to_dense
    """.split()
)
"""Methods of a tensor that return one tensor; those that end with one `_` do as well."""

FUNCTIONALS_THAT_RETURN_MORE = frozenset(
    """
    multi_head_attention_forward max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
    fractional_max_pool2d_with_indices adaptive_max_pool1d_with_indices grouped_mm has_torch_function
    """.split()
)
"""Functions of `torch.nn.functional` that return no single tensor."""

SEQUENCES = frozenset(
    """
    split chunk unbind tensor_split split_with_sizes hsplit vsplit dsplit meshgrid broadcast_tensors align_tensors
    unsafe_chunk unsafe_split
    """.split()
)
"""Functions and methods that return a sequence of tensors."""

PAIRS = frozenset(
    "topk sort kthvalue mode cummax cummin frexp std_mean var_mean aminmax slogdet qr eigh eig max min".split()
)
"""Functions and methods that return two tensors (`max` and `min` with a dim only)."""

PLAIN = frozenset(
    """
    size dim ndimension numel nelement element_size stride storage_offset is_floating_point is_complex is_contiguous
    get_device is_tensor is_signed is_inference is_same_size type data_ptr device finfo iinfo get_default_dtype
    is_grad_enabled is_autocast_enabled is_storage promote_types result_type can_cast get_num_threads Size
    is_inference_mode_enabled get_autocast_dtype get_autocast_gpu_dtype
    """.split()
)
"""Functions and methods that return what Dynamo knows while it traces."""

ATTRIBUTES = frozenset({"T", "mT", "H", "mH", "data", "real", "imag"})
"""Attributes of a tensor that are tensors."""
PLAIN_ATTRIBUTES = frozenset(
    """
    dtype device ndim layout requires_grad is_cuda is_cpu is_mps is_xpu is_meta is_sparse is_quantized is_leaf itemsize
    nbytes names is_nested
    """.split()
)

TELLING = frozenset(
    """
    unsqueeze permute masked_fill masked_fill_ contiguous expand expand_as size dim long new_zeros new_ones new_full
    new_tensor unbind unfold requires_grad index_select type_as detach bfloat16 repeat_interleave logical_not narrow
    """.split()
)
"""Attributes that only tensors have, among what model code holds."""

LAYERS = frozenset(
    """
    Linear Bilinear Identity Embedding Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LayerNorm
    RMSNorm GroupNorm BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d Dropout Dropout1d Dropout2d ReLU
    GELU SiLU Tanh Sigmoid Softmax LogSoftmax LeakyReLU ELU PReLU Softplus Mish Hardtanh GLU AvgPool1d AvgPool2d
    AdaptiveAvgPool1d AdaptiveAvgPool2d ZeroPad2d ConstantPad1d ReflectionPad1d ReflectionPad2d Upsample PixelShuffle
    Flatten Unflatten EmbeddingBag CrossEntropyLoss MSELoss L1Loss BCELoss BCEWithLogitsLoss SmoothL1Loss NLLLoss
    """.split()
)
"""Modules of `torch.nn` that return one tensor."""

CLASSES = frozenset(
    """
    Tensor FloatTensor LongTensor BoolTensor IntTensor HalfTensor DoubleTensor ByteTensor ShortTensor BFloat16Tensor
    ComplexFloatTensor Parameter Buffer
    """.split()
)
"""Annotations that stand for a tensor."""

BUILTINS = frozenset(
    """
    len int float bool str repr isinstance issubclass hasattr callable range type id hash format print ord chr divmod
    math.sqrt math.log math.floor math.ceil math.prod math.pi math.exp math.cos math.sin math.inf math.isnan math.isinf
    """.split()
)
"""Functions that return no tensor."""
