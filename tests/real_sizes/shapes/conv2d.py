SHAPES = {
    "conv2d": {
        "ResNet: stem": lambda t: ((t(2, 3, 224, 224), t(64, 3, 7, 7)), {"stride": 2, "padding": 3}),
        "ResNet: 3x3": lambda t: ((t(3, 64, 56, 56), t(64, 64, 3, 3), t(64)), {"padding": 1}),
        "ResNet: 1x1 of 2,048 channels": lambda t: ((t(4, 2048, 7, 7), t(512, 2048, 1, 1)), {}),
        "ResNet: downsampling": lambda t: ((t(2, 512, 28, 28), t(1024, 512, 1, 1)), {"stride": 2}),
        "ResNeXt: 32 groups": lambda t: ((t(2, 128, 56, 56), t(128, 4, 3, 3)), {"padding": 1, "groups": 32}),
        "ConvNeXt: depthwise 7x7": lambda t: ((t(2, 96, 56, 56), t(96, 1, 7, 7), t(96)), {"padding": 3, "groups": 96}),
        "ConvNeXt-L: last stage": lambda t: ((t(3, 1536, 7, 7), t(1536, 1, 7, 7), t(1536)), {"padding": 3, "groups": 1536}),
        "MobileNetV2: depthwise 3x3": lambda t: (
            (t(2, 96, 112, 112), t(96, 1, 3, 3)),
            {"stride": 2, "padding": 1, "groups": 96},
        ),
        "ResNet-50: 1x1": lambda t: ((t(2, 64, 56, 56), t(256, 64, 1, 1)), {}),
        "LeNet: the last convolution": lambda t: ((t(64, 16, 5, 5), t(120, 16, 5, 5), t(120)), {}),
        "ViT-B: patches": lambda t: ((t(2, 3, 224, 224), t(768, 3, 16, 16), t(768)), {"stride": 16}),
        "Whisper tiny: second layer": lambda t: (
            (t(1, 384, 1, 1500), t(384, 384, 1, 3), t(384)),
            {"stride": (1, 2), "padding": (0, 1)},
        ),
        "DeepLab: dilation": lambda t: ((t(1, 256, 33, 33), t(256, 256, 3, 3)), {"padding": 12, "dilation": 12}),
    },
}
