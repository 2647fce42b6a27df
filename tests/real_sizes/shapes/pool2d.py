SHAPES = {
    "max_pool2d": {
        "ResNet: stem": lambda t: ((t(2, 64, 112, 112), 3, 2, 1), {}),
        "VGG": lambda t: ((t(1, 64, 224, 224), 2), {}),
        "Inception": lambda t: ((t(4, 192, 35, 35), 3, 1, 1), {}),
        "YOLO: pyramid": lambda t: ((t(2, 256, 20, 20), 13, 1, 6), {}),
    },
    "avg_pool2d": {
        "DenseNet": lambda t: ((t(4, 128, 56, 56), 2), {}),
        "Inception": lambda t: ((t(4, 192, 35, 35), 3, 1, 1), {}),
        "ResNet-D": lambda t: ((t(2, 256, 57, 57), 2, 2, 0, True, False), {}),
        "1,500 frames": lambda t: ((t(4, 384, 1, 1500), (1, 2)), {}),
    },
    "adaptive_avg_pool2d": {
        "ResNet": lambda t: ((t(16, 2048, 7, 7), 1), {}),
        "VGG": lambda t: ((t(2, 512, 14, 17), 7), {}),
        "PSPNet": lambda t: ((t(1, 2048, 60, 60), 6), {}),
        "EfficientNet-B7": lambda t: ((t(2, 640, 19, 19), 1), {}),
    },
}
