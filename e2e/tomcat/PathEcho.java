// An embedded Tomcat whose only servlet responds with the path that Tomcat resolved. It prints its port, and ends with stdin.
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.file.Files;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;

public class PathEcho extends HttpServlet {
  @Override
  protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
    response.setContentType("text/plain;charset=utf-8");
    response.getWriter().print(request.getServletPath() + (request.getPathInfo() == null ? "" : request.getPathInfo()));
  }

  public static void main(String[] args) throws Exception {
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(Files.createTempDirectory("backchannel-tomcat-").toString());
    tomcat.setPort(0);
    tomcat.getConnector().setProperty("address", "127.0.0.1");
    Context context = tomcat.addContext("", null);
    Tomcat.addServlet(context, "echo", new PathEcho());
    context.addServletMappingDecoded("/*", "echo");
    tomcat.start();
    System.out.println("port " + tomcat.getConnector().getLocalPort());
    while (System.in.read() >= 0) {}
    tomcat.stop();
    System.exit(0);
  }
}
