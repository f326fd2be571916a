using PwshEngine;

if (args is not [var package, var integrity, var target])
{
    Console.Error.WriteLine("usage: PwshEngine PACKAGE.tgz SHA512-INTEGRITY TARGET-FOLDER");
    return 2;
}
string source = Package.Unpack(package, integrity, target + ".package");
Engine.Prepare(source, target);
return 0;
