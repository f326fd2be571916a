using SnapshotTools.Core;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>The image library's errors in the engine's words.</summary>
internal static class ImageErrors
{
    /// <summary>An error about one of the store's own layers.</summary>
    public static SnapshotException Translate(Qcow2Exception error) => error.Code == Qcow2ErrorCode.InUse
        ? new SnapshotException(ErrorIds.ImageInUse, ErrorKind.Busy, error.Message, error.Path, cause: error)
        : new SnapshotException(ErrorIds.LayerDamaged, ErrorKind.Damaged, $"A layer of the store cannot be used. {error.Message} Run Test-SnapshotStore to see what it affects.", error.Path, cause: error);

    /// <summary>An error about an image that the user named.</summary>
    public static SnapshotException TranslateSource(Qcow2Exception error) => error.Code == Qcow2ErrorCode.InUse
        ? new SnapshotException(ErrorIds.ImageInUse, ErrorKind.Busy, error.Message, error.Path, cause: error)
        : new SnapshotException(ErrorIds.ImageRefused, ErrorKind.InvalidInput, $"The image is refused ({error.Code}). {error.Message}", error.Path, cause: error);
}
